from mailsbuddy._core import bounce as bounce, dkim as dkim, mail as mail

__version__: str

def build_info() -> dict[str, str | bool]: ...
