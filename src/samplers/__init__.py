"""Where the behavior policy's responses are sampled: in this process, or by servers."""
