"""The template catalogue: what `/v1/templates` lists and what a renderer's folders must hold.

The version is the first 16 hex digits of the SHA-256 of all that shapes the page; a test holds it to the renderer.
"""

import msgspec


class Template(msgspec.Struct, frozen=True):
    id: str
    name: str
    description: str


TEMPLATES = (
    Template("clean", "Clean", "Minimal and modern"),
    Template("modern", "Modern", "Bold with accent colors"),
    Template("classic", "Classic", "Traditional business style"),
    Template("minimal", "Minimal", "Ultra-clean with lots of whitespace"),
)
# Changed with every change of a template, a font or the code that fills them: `make template-version` prints it.
TEMPLATES_VERSION = "4413117966a32f2d"
