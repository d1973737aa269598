"""The languages and papers of documents: what callers may name and what a renderer can write."""

LOCALES = (
    "en", "en-GB", "ar", "da", "de", "es", "fi", "fr", "he", "it", "ja", "ko", "nb", "nl", "pl", "pt", "pt-BR", "sv",
    "zh",
)  # fmt: skip
PAGE_SIZES = ("a4", "letter")
