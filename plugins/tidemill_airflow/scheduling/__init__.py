"""What the scheduler and the scheduled runs need: the timetable, and the drafts whose runs are skipped."""
