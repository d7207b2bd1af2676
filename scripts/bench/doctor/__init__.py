"""What the doctor and its migrations bring: the shop without its indexes, before and after, while writes go on."""
