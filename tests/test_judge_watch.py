"""What stops a build on its way: unread answers and missed canaries, by numbers worked out by hand, and in a build."""
