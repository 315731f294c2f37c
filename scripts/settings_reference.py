"""Write the table of settings in docs/operations.md from src/daypass/settings.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from daypass.settings import Settings, default_state_dir

DOCUMENT = Path(__file__).parents[1] / "docs/operations.md"
BEGIN = "<!-- Written by scripts/settings_reference.py from src/daypass/settings.py: -->"
END = "<!-- until here. -->"


def settings_table() -> str:
    """Return the table: every key, what it means, its default and its limits."""
    rows = [
        "| key | what it is | default | limits | environment |",
        "|---|---|---|---|---|",
        *_rows(Settings, "", ""),
    ]
    return "\n".join(rows)


def with_table(text: str) -> str:
    """Return the document with the table of now between its two marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{settings_table()}\n\n{END}{after}"


def _rows(model: type[BaseModel], prefix: str, variable: str | None) -> Iterator[str]:
    for name, info in model.model_fields.items():
        section, repeated = _section(info.annotation)
        key = f"{prefix}{name}"
        # A list of tables has no place in the environment, where each variable is one value.
        names = None if repeated or variable is None else f"{variable}{name.upper()}"
        if section is not None:
            yield from _rows(
                section, f"{key}[]." if repeated else f"{key}.", names and f"{names}__"
            )
            continue
        if not info.description:
            raise ValueError(f"{key} has no description")
        from_environment = f"`DAYPASS_{names}`" if names else "file only"
        yield (
            f"| `{key}` | {info.description} | {_default(info)} | {_limits(info)} "
            f"| {from_environment} |"
        )


def _section(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the section a field holds, if it does, and whether there may be several."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for part in get_args(annotation):
        found, _ = _section(part)
        if found is not None:
            return found, getattr(annotation, "__origin__", None) is tuple
    return None, False


def _default(info: FieldInfo) -> str:
    if info.default_factory is default_state_dir:
        return "see left"
    if info.default is PydanticUndefined:
        return "must be set"
    return f"`{info.default}`" if info.default != "" else ""


def _limits(info: FieldInfo) -> str:
    words = []
    for limit in info.metadata:
        match limit:
            case Ge(ge=least):
                words.append(f"≥ {least}")
            case Gt(gt=least):
                words.append(f"> {least}")
            case Le(le=most):
                words.append(f"≤ {most}")
            case Lt(lt=most):
                words.append(f"< {most}")
            case _:
                continue
    return ", ".join(words)


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
