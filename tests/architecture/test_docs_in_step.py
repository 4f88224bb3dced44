"""The reference pages say what the stages declare."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages():
    return generator().pages()


def test_every_page_is_what_the_generator_would_write(pages):
    for name, text in pages.items():
        written = (ROOT / "docs" / "reference" / name).read_text("utf-8")
        assert written == text, f"docs/reference/{name} is out of step: run `make docs`"


def test_no_page_describes_a_stage_that_is_gone(pages):
    assert {path.name for path in (ROOT / "docs" / "reference").glob("*.md")} == set(pages)


def test_links_between_pages_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
