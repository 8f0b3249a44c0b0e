"""`collect` in both of its meanings, and what is done with a collection: `describe`, `select` and `release`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from selfj.cli.options import Dry, Force, On, Retry, Sets, Target, app
from selfj.cli.stages import perform_stage

if TYPE_CHECKING:
    from pathlib import Path

    from selfj.collection.manifest import Manifest
    from selfj.collection.settings import Collection
    from selfj.progress import Progress

Folder = Annotated[str, typer.Argument(help="Folder of a collection.", metavar="COLLECTION")]
Seed = Annotated[int, typer.Option(help="Of every draw.")]
Names = list[str] | None


@app.command()
def collect(
    target: Target = "demo",
    sets: Sets = None,
    force: Force = False,
    retry: Retry = False,
    dry: Dry = False,
    device: On = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Folder of the collection.")] = None,
    only: Annotated[Names, typer.Option(metavar="NAME", help="Take only this source, pattern or category.")] = None,
    exclude: Annotated[Names, typer.Option(metavar="NAME", help="Leave this source, pattern or category out.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Read at most the first so many rows of a source.")] = None,
    runner: Annotated[str | None, typer.Option(help="native (this machine) or ray (a cluster).")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Take what is in the cache; ask no server.")] = False,
    keep_work: Annotated[bool, typer.Option("--keep-work", help="Keep what was prepared.")] = False,
    describe: Annotated[bool, typer.Option(help="Write page and card at the end.")] = True,
) -> None:
    """Read instructions or exchanges for a run; or, with a file of sources, make a collection of millions.

    CONFIG is a run's config or folder, or a collection: a TOML file with `[[sources]]`, a collection's folder, or
    `self-j`, the 37 sources of the paper. Where a source cannot be had the rest goes on, and the exit code is 5.

    Example: `selfj collect runs/demo`, or `selfj collect self-j --out collections/self-j --exclude coding`
    """
    from selfj.errors import ConfigError

    given = {
        "--out": out, "--only": only, "--exclude": exclude, "--limit": limit, "--runner": runner, "--offline": offline,
        "--keep-work": keep_work, "--no-describe": not describe,
    }  # fmt: skip
    if not _is_collection(target):
        if wrong := [name for name, value in given.items() if value]:
            raise ConfigError(
                f"{wrong[0]} belongs to a collection, and {target} is none: expected a TOML file with [[sources]], a "
                "collection's folder, or self-j."
            )
        perform_stage("collect", target, sets, force=force, retry=retry, dry=dry, device=device)
        return
    if wrong := [n for n, value in {"--force": force, "--retry-failed": retry, "--device": device}.items() if value]:
        raise ConfigError(f"{wrong[0]} belongs to a run, and {target} is a collection.")
    place = _place(target, out)
    settings = _settings(target, sets, _words(only), _words(exclude), limit, runner, keep_work)
    if dry:
        _foretell(settings, place)
    else:
        _make(settings, place, offline=offline, describe=describe)


def _is_collection(target: str) -> bool:
    from pathlib import Path

    from selfj.collection.sources import is_collection

    return is_collection(target) or (Path(target) / "collection.toml").is_file()


def _place(target: str, out: str | None) -> "Path":
    from pathlib import Path

    if out is not None:
        return Path(out)
    return Path(target) if Path(target).is_dir() else Path("collections") / Path(target).stem


def _words(given: Names) -> list[str]:
    """Names of an option that may be given several times, or once with commas."""
    return [name.strip() for word in given or [] for name in word.split(",")]


def _settings(
    target: str, sets: Names, only: list[str], exclude: list[str], limit: int | None, runner: str | None, keep: bool
) -> "Collection":
    from selfj.collection.settings import load_collection

    overrides = [*(sets or [])]
    overrides += [f'runner="{runner}"'] if runner is not None else []
    overrides += ["keep_work=true"] if keep else []
    settings = load_collection(target, overrides, only=only, exclude=exclude)
    if limit is None:
        return settings
    limited = [s.model_copy(update={"limit": min(limit, s.limit or limit)}) for s in settings.sources]
    return settings.model_copy(update={"sources": tuple(limited)})


def _foretell(settings: "Collection", place: "Path") -> None:
    """Print which sources would be read, and what of them is here; nothing is done and no server asked."""
    from pathlib import Path

    from selfj.collection.fetch import look
    from selfj.collection.sources import CATEGORIES
    from selfj.publish.files import size_text
    from selfj.report.canvas import short
    from selfj.report.text import UNDEFINED
    from selfj.terminal import OUT, print_table

    cache = Path(settings.cache) if settings.cache else place / "cache"
    rows = []
    paper = 0
    for held in look(settings.sources, cache):
        source = held.source
        theirs = sum(source.paper_rows.values())
        paper += theirs
        named = [name for name in CATEGORIES if source.may_have(name)]
        category = (
            source.category if isinstance(source.category, str) else "mixed" if len(named) > 2 else " or ".join(named)
        )
        state = held.fault or ("not here" if not held.found else "here")
        state = f"{held.found} of {held.files} files" if 0 < held.found < held.files else state
        size = UNDEFINED if held.bytes is None else size_text(held.bytes)
        where = short(source.hub or source.path or f"{len(source.urls)} addresses", 44)
        limit = UNDEFINED if source.limit is None else f"{source.limit:,}"
        rows.append(
            [source.name, where, f"{theirs:,}" if theirs else UNDEFINED, category, source.licence, state, size, limit]
        )
    headers = ["source", "where", "rows of the paper", "category", "licence", "files", "size", "at most"]
    print_table(headers, rows)
    if unsure := [source.name for source in settings.sources if not source.schema_checked]:
        OUT.print(
            f"Columns of {len(unsure)} entries were never compared with the data set itself: {', '.join(unsure)}.",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    OUT.print(
        f"{len(rows):,} sources, of which the paper kept {paper:,} rows; the collection would lie in {place}.",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def _make(settings: "Collection", place: "Path", *, offline: bool, describe: bool) -> None:
    from selfj.collection.make import collect as make
    from selfj.errors import TooManyFailures
    from selfj.terminal import OUT, Bars

    bars = Bars()
    try:
        manifest = make(settings, place, bars, offline=offline, describe=_description if describe else None)
    finally:
        bars.close()
    _summary(manifest)
    OUT.print(f"\nCollection: {place}", markup=False, highlight=False, soft_wrap=True)
    if describe:
        OUT.print(f"Page: {place / 'report' / 'report.html'}", markup=False, highlight=False, soft_wrap=True)
    if manifest.faults:
        raise typer.Exit(TooManyFailures.exit_code)


def _description(folder: "Path", progress: "Progress") -> None:
    from selfj.collection.renew import renew
    from selfj.errors import MissingDependency

    command = f"selfj describe {folder}"
    try:
        renew(folder, progress=progress, command=command)
    except MissingDependency as error:
        progress.note(f"The page is without root verbs. {error}")
        renew(folder, sample=0, progress=progress, command=command)


def _summary(manifest: "Manifest") -> None:
    """Print what became of every source."""
    from selfj.report.text import duration, percent
    from selfj.terminal import OUT, print_table

    rows = []
    for source in manifest.sources:
        main = sorted(source.dropped.items(), key=lambda entry: (-entry[1], entry[0]))[:3]
        told = ", ".join(f"{name} {n:,}" for name, n in main)
        share = percent(source.kept / source.read if source.read else None)
        rows.append([source.name, f"{source.read:,}", f"{source.kept:,}", share, told or "none"])
    total = percent(manifest.kept / manifest.read if manifest.read else None)
    main = sorted(manifest.dropped.items(), key=lambda entry: (-entry[1], entry[0]))[:3]
    told = ", ".join(f"{name} {n:,}" for name, n in main)
    rows.append(["all", f"{manifest.read:,}", f"{manifest.kept:,}", total, told or "none"])
    print_table(["source", "read", "kept", "share", "dropped most as"], rows)
    for name, fault in manifest.faults.items():
        OUT.print(f"· {name}: {fault}", markup=False, highlight=False, soft_wrap=True)
    steps = ", ".join(f"{step} {duration(seconds)}" for step, seconds in manifest.seconds.items())
    OUT.print(f"Time: {steps}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def describe(
    folder: Folder,
    sample: Annotated[int, typer.Option(min=0, help="English instructions whose root verb is looked for.")] = 20_000,
    verbs: Annotated[bool, typer.Option(help="Look for root verbs; it is the slow part.")] = True,
    seed: Seed = 0,
) -> None:
    """Write the page, the figures and the card of a collection again: report/ and README.md.

    Example: `selfj describe collections/self-j`
    """
    from selfj.collection.renew import renew
    from selfj.terminal import OUT, Bars

    bars = Bars()
    try:
        page = renew(
            folder, sample=sample if verbs else 0, seed=seed, progress=bars, command=f"selfj describe {folder}"
        )
    finally:
        bars.close()
    OUT.print(f"Page: {page}", markup=False, highlight=False, soft_wrap=True)
    OUT.print(f"Card: {page.parents[1] / 'README.md'}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def select(
    folder: Folder,
    n: Annotated[int | None, typer.Option("--n", help="Rows wanted.")] = None,
    preset: Annotated[str | None, typer.Option(help="judge (30,000 rows) or sft (87,000): sizes of the paper.")] = None,
    by: Annotated[str | None, typer.Option(help="proportional, category or source: who gets how many.")] = None,
    quota: Annotated[Names, typer.Option(metavar="NAME=ROWS", help="Rows of one category or source.")] = None,
    with_reference: Annotated[bool | None, typer.Option(help="Take only rows with a reference.")] = None,
    diverse: Annotated[
        bool, typer.Option("--diverse", help="Take rows that lie far apart by their embeddings.")
    ] = False,
    candidates: Annotated[int, typer.Option(min=1, help="With --diverse: embed so many for each row wanted.")] = 4,
    seed: Seed = 0,
    out: Annotated[
        str, typer.Option(metavar="FILE", help="A Parquet file; a JSON file beside it.")
    ] = "instructions.parquet",
    sets: Annotated[Names, typer.Option("--set", metavar="KEY=VALUE", help="Such as embedder.kind=minilm.")] = None,
) -> None:
    """Select rows of a collection for a run, which reads them with `collect.source.kind="file"`.

    Example: `selfj select collections/self-j --n 30000 --by category --with-reference --out instructions.parquet`
    """
    from selfj import backends, config
    from selfj.collection.finished import open_collection
    from selfj.collection.select import Selection
    from selfj.collection.select import select as perform
    from selfj.terminal import OUT, Bars, print_table

    asked: dict[str, Any] = {"n": n, "by": by, "with_reference": with_reference}
    wanted = _selection(preset, {name: value for name, value in asked.items() if value is not None})
    wanted = Selection(wanted.n, wanted.by, _quotas(quota), wanted.with_reference, diverse, candidates, seed)
    settings = config.load("demo", sets or []).embedder
    bars = Bars()
    try:
        made = perform(
            open_collection(folder), wanted, out, embedder=lambda: backends.embedder(settings), progress=bars
        )
    finally:
        bars.close()
    groups: dict[str, int] = {}
    for (category, _), rows in made.taken.items():
        groups[category] = groups.get(category, 0) + rows
    print_table(["category", "rows"], [[name, f"{rows:,}"] for name, rows in groups.items()])
    for sentence in made.told:
        OUT.print(f"· {sentence}", markup=False, highlight=False, soft_wrap=True)
    OUT.print(f"Written: {made.path}, {made.rows:,} rows; what was taken from where: {made.about}",
              markup=False, highlight=False, soft_wrap=True)  # fmt: skip


def _selection(preset: str | None, asked: dict[str, Any]) -> Any:
    from dataclasses import replace

    from selfj.collection.select import PRESETS, Selection
    from selfj.errors import ConfigError

    if preset is None:
        if "n" not in asked:
            raise ConfigError("How many rows? Give --n, or --preset judge or sft.")
        return Selection(**asked)
    if preset not in PRESETS:
        raise ConfigError(f"--preset is {preset!r}, expected one of {', '.join(PRESETS)}.")
    return replace(PRESETS[preset], **asked)


def _quotas(given: Names) -> dict[str, int]:
    from selfj.errors import ConfigError

    made: dict[str, int] = {}
    for word in given or []:
        name, _, rows = word.rpartition("=")
        if not name or not rows.isascii() or not rows.isdigit() or name in made:
            raise ConfigError(f"--quota takes NAME=ROWS, each name once, such as coding=5000; got {word!r}.")
        made[name] = int(rows)
    return made


@app.command()
def release(
    folder: Folder,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Default: COLLECTION/release.")] = None,
    form: Annotated[str, typer.Option("--format", help="parquet, jsonl or both.")] = "parquet",
    compression: Annotated[str, typer.Option(help="Of the JSONL: zstd or gzip.")] = "zstd",
    push: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Upload to the model hub as a data set.")
    ] = None,
    public: Annotated[bool, typer.Option("--public/--private", help="For everyone to see.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Upload on top of what is there.")] = False,
    token_env: Annotated[str | None, typer.Option(metavar="NAME", help="Variable that holds the token.")] = None,
) -> None:
    """Write a collection for others: Parquet or JSONL, card and checksums; on request upload it to the model hub.

    Example: `selfj release collections/self-j --format both --out shared`
    """
    from pathlib import Path

    from selfj.collection import release as releasing
    from selfj.collection.finished import open_collection
    from selfj.publish import check_sending
    from selfj.terminal import OUT, Bars

    if push is not None:
        check_sending(push, token_env)
    bars = Bars()
    try:
        made = releasing.release(
            open_collection(folder),
            Path(out) if out is not None else Path(folder) / "release",
            form=form,  # type: ignore[arg-type]
            compression=compression,  # type: ignore[arg-type]
            progress=bars,
        )
    finally:
        bars.close()
    address = None
    if push is not None:
        address = releasing.push(made, push, public=public, update=update, token_env=token_env)
    sending = made.sending(push, public=public, update=update) if push is not None else None
    for line in releasing.lines(made, sending, address):
        OUT.print(line, markup=False, highlight=False, soft_wrap=True)
