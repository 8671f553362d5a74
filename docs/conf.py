"""Settings of Sphinx: the source folder is the repository's root, so that links work here and on a code host."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch.utils.flop_counter  # noqa: F401  # beside the mock of triton it could not be imported
from pygments.lexers.special import TextLexer

DOCS = Path(__file__).parent
sys.path.append(str(DOCS / "extensions"))

project = "crtcore"
html_title = "crtcore"
html_show_copyright = False
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.apidoc", "sphinx_click", "plain_docstrings", "all_laws"]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "README.md",
    "CONTRIBUTING.md",
    "bench/README.md",
    "plugins/*/README.md",
    "downstream/README.md",
    "downstream/*/README.md",
]
exclude_patterns = ["docs/extensions/**", "**/.tox/**", "**/.venv*/**"]
# READMEs may begin below the first level; a type in a signature may be that of a package and of its module.
suppress_warnings = ["myst.header", "ref.python"]

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["own.css"]
html_extra_path = ["extra"]  # the address without a page leads to the first page
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

default_role = "literal"
smartquotes = False  # `--set` stays as it is typed
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True}
# No page needs what these do; beside a torch for the CPU, transformers and torch-fidelity may not be importable.
autodoc_mock_imports = [
    "mlflow", "ray", "torch.utils.tensorboard", "torch_fidelity", "trackio", "transformers", "triton", "wandb",
    "xformers", "xgrammar",
]  # fmt: skip
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

packages = ["crtcore", *sorted(f"{path}/{path.name.replace('-', '_')}" for path in DOCS.parent.glob("plugins/crt-*"))]
apidoc_modules = [
    {
        "path": str(DOCS.parent / package),
        "destination": f"docs/reference/api/{Path(package).name}",
        "module_first": True,
        "exclude_patterns": [
            str(DOCS.parent / "plugins/*/audit/audit.py")
        ],  # its function has the same name in the page of the package
        "automodule_options": {"members", "show-inheritance", "ignore-module-all"},
    }
    for package in packages
]


def setup(app: Any) -> None:
    """Called by Sphinx: the layers of packages, which a test reads, are plain text."""
    app.add_lexer("floors", TextLexer)
