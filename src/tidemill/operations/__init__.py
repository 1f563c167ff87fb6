"""Operations on what exists: reproduce, explain, roll back, backfill, and transfer between environments."""
