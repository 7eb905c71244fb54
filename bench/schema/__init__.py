"""Records that are stored in a report or sent between processes: msgspec structs without arithmetic."""
