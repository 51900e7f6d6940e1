"""Redaction: pictures and videos written again with the faces in them covered."""
