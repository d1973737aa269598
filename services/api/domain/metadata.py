"""What callers keep on a document or client for themselves: ``metadata``, texts under names of their own."""

Metadata = dict[str, str]
