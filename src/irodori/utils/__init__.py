"""Small tools that every layer may use; nothing here imports more of irodori than its errors."""
