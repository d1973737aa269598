"""Which words a locale's documents are written in."""

from services.renderer.words.en import EN
from services.renderer.words.words import Words

WORDS: dict[str, Words] = {"en": EN}
