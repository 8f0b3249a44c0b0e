"""What goes wrong with one source; the other sources go on."""

from selfj.errors import ArtefactError


class SourceFault(ArtefactError):
    """A source cannot be fetched or read: it moved, is closed, is damaged, or no longer fits its entry."""

    def __init__(self, source: str, text: str) -> None:
        """Keep the source's name; `text` is a plain sentence that holds no secret."""
        super().__init__(f"{source}: {text}")
        self.source = source
        self.text = text

    def __reduce__(self) -> tuple[type["SourceFault"], tuple[str, str]]:
        """Let another process raise it."""
        return type(self), (self.source, self.text)
