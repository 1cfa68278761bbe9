from mailsbuddy._core import (
    bounce as bounce, dkim as dkim, engine as engine, mail as mail, net as net, smtp as smtp, warming as warming,
)

__version__: str

def build_info() -> dict[str, str | bool]: ...
