"""Everything that judges: prequential metrics over windows, and how sure they are."""
