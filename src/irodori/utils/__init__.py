"""Small tools that every layer may use; nothing here imports another part of irodori."""
