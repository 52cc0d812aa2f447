"""Reading ahead, in a thread of its own: records are fetched, decoded and handed over."""
