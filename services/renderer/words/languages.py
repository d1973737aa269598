"""Which words a locale's documents are written in; one for each of shared/locales.py."""

from services.renderer.words.ar import AR
from services.renderer.words.da import DA
from services.renderer.words.de import DE
from services.renderer.words.en import EN, EN_GB
from services.renderer.words.es import ES
from services.renderer.words.fi import FI
from services.renderer.words.fr import FR
from services.renderer.words.he import HE
from services.renderer.words.it import IT
from services.renderer.words.ja import JA
from services.renderer.words.ko import KO
from services.renderer.words.nb import NB
from services.renderer.words.nl import NL
from services.renderer.words.pl import PL
from services.renderer.words.pt import PT
from services.renderer.words.pt_br import PT_BR
from services.renderer.words.sv import SV
from services.renderer.words.words import Words
from services.renderer.words.zh import ZH

WORDS: dict[str, Words] = {
    "ar": AR,
    "da": DA,
    "de": DE,
    "en": EN,
    "en-GB": EN_GB,
    "es": ES,
    "fi": FI,
    "fr": FR,
    "he": HE,
    "it": IT,
    "ja": JA,
    "ko": KO,
    "nb": NB,
    "nl": NL,
    "pl": PL,
    "pt": PT,
    "pt-BR": PT_BR,
    "sv": SV,
    "zh": ZH,
}
