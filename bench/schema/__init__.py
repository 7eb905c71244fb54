"""What is stored in a report or sent between processes: msgspec records, no arithmetic."""
