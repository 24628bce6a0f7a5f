"""Check the English of documents, docstrings and messages by Vale with our own rules: `make prose`.

Vale reads Markdown, so docstrings and messages of each module are written to a file of equal lines in `.cache/prose`.
Modules and pages that are not rewritten yet are listed in `exempt.txt`; a path without findings has to leave the list.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "prose"
EXEMPT = Path(__file__).parent / "exempt.txt"
BAD = Path(__file__).parent / "bad.md"
_PAGES = ("*.md", "docs/**/*.md", ".github/*.md", "examples/**/*.md", "bench/*.md", "client/*.md")
_SENTENCE = re.compile(r"[A-Za-z][a-z']+ [a-z]+ [a-z]+")
"""A text with three words in a row is a message; others are names, keys and formats."""


def main() -> int:
    vale = sys.argv[1]
    CACHE.mkdir(parents=True, exist_ok=True)
    modules = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "client" / "src").rglob("*.py")])
    sources = {str(_extract(path)): str(path.relative_to(ROOT)) for path in modules}
    pages = {str(path): str(path.relative_to(ROOT)) for pattern in _PAGES for path in sorted(ROOT.glob(pattern))}
    names = {**sources, **pages, str(BAD): str(BAD.relative_to(ROOT))}
    done = subprocess.run(
        [vale, "--output=JSON", "--no-exit", f"--config={ROOT / '.vale.ini'}", *names],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"vale failed: {done.stderr or done.stdout}")
    findings = {names[str((ROOT / file).resolve())]: alerts for file, alerts in json.loads(done.stdout).items()}
    found = {alert["Check"].partition(".")[2] for alert in findings.pop(str(BAD.relative_to(ROOT)), [])}
    if deaf := sorted({rule.stem for rule in (Path(__file__).parent / "styles" / "whohas").glob("*.yml")} - found):
        sys.exit(f"These rules find nothing in {BAD.name}, which has an example of each: {', '.join(deaf)}")
    if sys.argv[2:] == ["--exempt"]:
        EXEMPT.write_text(_HEAD + "".join(f"{name}\n" for name in sorted(findings)))
        return 0
    exempt = {line for line in EXEMPT.read_text().splitlines() if line and not line.startswith("#")}
    wrong = [
        f"{name}:{alert['Line']}: {alert['Message']} [{alert['Check']}]"
        for name, alerts in sorted(findings.items())
        if name not in exempt
        for alert in alerts
    ]
    wrong += [
        f"{name} has no findings any more: remove it from tools/prose/exempt.txt"
        for name in sorted(exempt - set(findings))
    ]
    counts = Counter(alert["Check"] for alerts in findings.values() for alert in alerts)
    print("\n".join(wrong))
    print(f"prose: {len(wrong)} findings; {sum(counts.values())} with the {len(exempt)} exempt paths {dict(counts)}")
    return 1 if wrong else 0


_HEAD = """# Modules and pages whose English is not rewritten yet; `make prose` reads past them.
# The list only shrinks: rewrite a file, then remove its line.
"""


def _extract(path: Path) -> Path:
    """Write the docstrings and messages of a module to a file in which they keep their lines; return that file."""
    lines: list[str] = [""] * (path.read_text().count("\n") + 2)
    for line, text in _texts(ast.parse(path.read_text())):
        for offset, part in enumerate(text.split("\n")):
            if line + offset < len(lines):
                lines[line + offset] = f"{lines[line + offset]} {_plain(part)}".strip()
    target = CACHE / path.relative_to(ROOT).with_suffix(".py.md")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_text() != "\n".join(lines[1:]):
        target.write_text("\n".join(lines[1:]))
    return target


def _plain(text: str) -> str:
    """Return a text without what Markdown would take for markup."""
    return re.sub(r"[<>*_#|\[\]]", " ", text).strip()


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield each docstring and message with its line; an f-string with an ellipsis for each value."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in ast.walk(node)} - {id(node)}
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            text = node.value
        else:
            continue
        if _SENTENCE.search(text) and not re.match(r"\s*(?:SELECT|WITH|INSERT|UPDATE|DELETE|CREATE)\b", text):
            yield node.lineno, text


if __name__ == "__main__":
    sys.exit(main())
