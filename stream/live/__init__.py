"""What the daemon owes its surroundings by the wall clock: a watch, answers, notices and a log."""
