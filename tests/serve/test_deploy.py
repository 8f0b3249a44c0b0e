"""The files of deploy/: nothing is built or started here, but all that they name is there and fits together."""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import typer
import yaml

from selfj.cli import app
from selfj.serve.server import load_settings
from selfj.serve.workers import _GRACE_S

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES = {document["kind"]: document for document in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
POD = KUBERNETES["Deployment"]["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
KNOWN = {"OTEL_EXPORTER_OTLP_ENDPOINT", "HF_HUB_OFFLINE", "PYTHONDONTWRITEBYTECODE"}


def unit():
    """The lines of the systemd unit by name; a name can come several times."""
    found = {}
    for line in (DEPLOY / "selfj-gateway.service").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def instructions():
    """The Dockerfile's instructions, in order, with lines that go on put together."""
    lines = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in "\n".join(lines).replace("\\\n", " ").splitlines()]


def entrypoint():
    return yaml.safe_load(dict(instructions())["ENTRYPOINT"])


def serve(words, config=None):
    """The settings that a command line gives, through the parser and the loader of the command."""
    assert Path(words[0]).name == "selfj"
    assert words[1] == "serve"
    command = typer.main.get_command(app).commands["serve"]
    given = command.make_context("serve", list(words[2:])).params
    assert config is None or given["config"] is not None
    named = {"run": given["run"], "port": given["port"], "host": given["host"], "workers": given["workers"]}
    return load_settings(config and str(config), named, given["sets"] or [])


@pytest.fixture
def configured(tmp_path):
    """The ConfigMap's settings as a file."""
    path = tmp_path / "gateway.toml"
    path.write_text(KUBERNETES["ConfigMap"]["data"]["gateway.toml"])
    return path


def seconds(text):
    return float(str(text).removesuffix("s"))


def test_the_image_serves_with_the_settings_beside_it():
    settings = serve(entrypoint(), DEPLOY / "gateway.toml")
    assert (settings.host, settings.port, settings.workers) == ("0.0.0.0", 8400, 2)
    assert settings.keys
    assert dict(instructions())["EXPOSE"] == "8400"
    assert f":{settings.port}/health/ready" in dict(instructions())["HEALTHCHECK"]


def test_the_dockerfile_is_a_sound_one():
    steps = instructions()
    names = {"FROM", "ARG", "RUN", "ENV", "WORKDIR", "COPY", "VOLUME", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"}
    assert {name for name, _ in steps} == names | {"ENTRYPOINT"}
    bases = [value.split()[0] for name, value in steps if name == "FROM"]
    assert bases == ["python:3.11-slim", "python:3.11-slim"]
    final = steps[max(place for place, (name, _) in enumerate(steps) if name == "FROM") :]
    order = [name for name, _ in final]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert "RUN" not in order[order.index("USER") :]
    user, group = dict(final)["USER"].split(":")
    assert int(user) > 1000
    assert int(group) > 1000
    assert f"--uid {user} --gid {group}" in DOCKERFILE
    for name in ("ENTRYPOINT", "VOLUME"):
        assert isinstance(yaml.safe_load(dict(final)[name]), list)
    check = dict(final)["HEALTHCHECK"]
    code = yaml.safe_load(check[check.index("CMD") + 4 :])
    compile(code[2], "healthcheck", "exec")
    for name, value in steps:
        if name == "RUN":
            assert subprocess.run(["sh", "-n", "-c", value]).returncode == 0
            assert "sudo" not in value
        if name == "COPY" and "--from" not in value:
            for source in value.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source.removeprefix('./')}" in (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    # torch is there before anything could pull another build of it.
    installs = [value for name, value in steps if name == "RUN" and "pip install" in value]
    assert "$TORCH" in installs[0]
    assert "$EXTRAS" in installs[1]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.search(r"ARG EXTRAS=(\S+)", DOCKERFILE)[1].split(",")) <= set(extras)
    wanted = re.search(r"^TORCH \?= (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert f"ARG TORCH={wanted}\n" in DOCKERFILE


def test_no_file_names_a_registry_or_holds_a_secret():
    for path in DEPLOY.iterdir():
        if path.is_file():
            text = path.read_text()
            hosts = re.findall(r"\b[a-z0-9-]+\.(?:io|com|org|dev|net)\b(?!/name)", text)
            assert set(hosts) <= {"kubernetes.io"}, path.name
            assert not re.search(r"\b[0-9a-f]{64}\b|sk-\w{8}", text), path.name


def test_compose_fits_the_image_and_the_settings():
    gateway, postgres = COMPOSE["services"]["gateway"], COMPOSE["services"]["postgres"]
    settings = serve(entrypoint(), DEPLOY / "gateway.toml")
    assert (DEPLOY / gateway["build"]["context"] / gateway["build"]["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    assert set(gateway["build"]["args"]) <= set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
    targets = [volume.rsplit(":", 2)[1] for volume in gateway["volumes"]]
    assert targets == [settings.run, entrypoint()[-1]]
    assert all(volume.endswith(":ro") for volume in gateway["volumes"])
    assert [port.rsplit(":", 1)[1] for port in gateway["ports"]] == [str(settings.port)]
    assert all(port.startswith("127.0.0.1:") for port in gateway["ports"])
    # What the settings name is there, as a secret in a file.
    secrets = {f"/run/secrets/{name}" for name in gateway["secrets"]}
    assert settings.keys in secrets
    for name in (settings.store_env, settings.upstream.api_key_env):
        assert gateway["environment"][f"{name}_FILE"] in secrets
    assert set(gateway["environment"]) - KNOWN == {
        f"{settings.store_env}_FILE",
        f"{settings.upstream.api_key_env}_FILE",
    }
    assert {*gateway["secrets"], *postgres["secrets"]} == set(COMPOSE["secrets"])
    ignored = (ROOT / ".gitignore").read_text().split()
    assert all(entry["file"].startswith("./secrets/") for entry in COMPOSE["secrets"].values())
    assert "/deploy/secrets/" in ignored
    assert postgres["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/postgres_password"
    assert (gateway["read_only"], gateway["tmpfs"], gateway["cap_drop"]) == (True, ["/tmp"], ["ALL"])
    assert seconds(gateway["stop_grace_period"]) > settings.drain_s + _GRACE_S
    assert gateway["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert "outside" not in postgres["networks"]
    compile(gateway["healthcheck"]["test"][-1], "healthcheck", "exec")
    for service in (gateway, postgres):
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert service["healthcheck"]["test"]
        assert "privileged" not in service


def test_the_unit_fits_the_command(tmp_path):
    found = unit()
    line = found["ExecStart"][0].replace("%d", "/run/credentials/selfj-gateway.service")
    plain = tmp_path / "gateway.toml"
    plain.write_text('[upstream]\nbase_url = "http://127.0.0.1:8000/v1"\napi_key_env = "UPSTREAM_API_KEY"\n')
    settings = serve(shlex.split(line), plain)
    assert settings.store.startswith(f"/var/lib/{found['StateDirectory'][0]}/")
    assert found["ReadOnlyPaths"] == [settings.run]
    credentials = [value.split(":")[0] for value in found["LoadCredential"]]
    assert Path(settings.keys).name in credentials
    environment = dict(value.split("=", 1) for value in found["Environment"])
    assert set(environment) - KNOWN == {f"{settings.upstream.api_key_env}_FILE"}
    assert Path(environment["UPSTREAM_API_KEY_FILE"]).name in credentials
    assert seconds(found["TimeoutStopSec"][0]) > settings.drain_s + _GRACE_S
    assert (found["KillMode"], found["Type"], found["DynamicUser"]) == (["mixed"], ["exec"], ["yes"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is part of systemd")
def test_systemd_takes_the_unit(tmp_path):
    text = (DEPLOY / "selfj-gateway.service").read_text()
    # It looks whether the program is there, which it is not on the machine of a test.
    path = tmp_path / "selfj-gateway.service"
    path.write_text(text.replace("/opt/selfj/bin/selfj", shutil.which("true")))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if "selfj" in line]
    assert (done.returncode, told) == (0, []), done.stderr
    wrong = tmp_path / "other.service"
    wrong.write_text(path.read_text().replace("ProtectSystem=strict", "ProtectSystem=somewhat"))
    done = subprocess.run(["systemd-analyze", "verify", wrong], capture_output=True, text=True)
    assert "Failed to parse" in done.stderr


def test_the_manifest_fits_the_image_and_the_settings(configured):
    settings = serve(entrypoint() + CONTAINER.get("args", []), configured)
    mounts = {mount["mountPath"]: mount for mount in CONTAINER["volumeMounts"]}
    assert settings.run in mounts
    assert str(Path(entrypoint()[-1]).parent) in mounts
    assert str(Path(settings.keys).parent) in mounts
    assert all(mount.get("readOnly") for path, mount in mounts.items() if path != "/tmp")
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    assert {mount["name"] for mount in mounts.values()} == set(volumes)
    assert volumes["config"]["configMap"]["name"] == KUBERNETES["ConfigMap"]["metadata"]["name"]
    assert Path(entrypoint()[-1]).name in KUBERNETES["ConfigMap"]["data"]
    assert volumes["keys"]["secret"]["items"][0]["path"] == Path(settings.keys).name
    assert {entry["name"] for entry in CONTAINER["env"]} == {settings.store_env, settings.upstream.api_key_env}
    assert all("secretKeyRef" in entry["valueFrom"] for entry in CONTAINER["env"])
    assert [port["containerPort"] for port in CONTAINER["ports"]] == [settings.port]
    (port,) = KUBERNETES["Service"]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (settings.port, CONTAINER["ports"][0]["name"])
    grace = POD["terminationGracePeriodSeconds"]
    pause = float(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert grace > pause + settings.drain_s + _GRACE_S


def test_the_manifest_is_a_careful_one():
    assert set(KUBERNETES) == {"ConfigMap", "Deployment", "Service", "PodDisruptionBudget"}
    spec = KUBERNETES["Deployment"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    for selector in (
        spec["selector"]["matchLabels"],
        KUBERNETES["Service"]["spec"]["selector"],
        KUBERNETES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    assert spec["replicas"] > KUBERNETES["PodDisruptionBudget"]["spec"]["maxUnavailable"] >= 1
    user, group = (int(part) for part in dict(instructions())["USER"].split(":"))
    pod = POD["securityContext"]
    assert (pod["runAsNonRoot"], pod["runAsUser"], pod["runAsGroup"], pod["fsGroup"]) == (True, user, group, group)
    assert POD["automountServiceAccountToken"] is False
    context = CONTAINER["securityContext"]
    assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} <= set(CONTAINER["resources"]["requests"])
    assert "memory" in CONTAINER["resources"]["limits"]


def test_what_is_probed_is_there(gateway):
    served = gateway()
    paths = {CONTAINER[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    texts = [dict(instructions())["HEALTHCHECK"], COMPOSE["services"]["gateway"]["healthcheck"]["test"][-1]]
    for text in texts:
        paths.add(urlsplit(re.search(r"http://[^']+", text)[0]).path)
    assert paths == {"/health/live", "/health/ready"}
    for path in paths:
        assert served.http.get(path).status_code == 200


def test_the_words_of_the_readme_are_those_of_the_files():
    text = (DEPLOY / "README.md").read_text()
    for name in re.findall(r"deploy/([\w./-]+\w)", text):
        assert (DEPLOY / name).exists() or name.startswith("secrets"), name
    for name in re.findall(r"--build-arg (\w+)=", text):
        assert f"ARG {name}" in DOCKERFILE
    for name in COMPOSE["secrets"]:
        assert f"deploy/secrets/{name}" in text
    files = {path.name for path in DEPLOY.iterdir() if path.is_file()} - {"README.md", "Dockerfile.dockerignore"}
    assert set(re.findall(r"^\| `([\w.-]+)`", text, re.MULTILINE)) == files
