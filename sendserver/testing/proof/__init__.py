"""What the engine must show, shown with the real lanes: every message as asked, fair turns, prompt stops, two hosts."""
