"""The languages and papers of documents: what callers may name and what a renderer can write."""

LOCALES = ("en", "en-GB", "de", "fr", "es", "it", "nl", "pl", "pt", "pt-BR", "ar", "he", "ja", "zh")
PAGE_SIZES = ("a4", "letter")
