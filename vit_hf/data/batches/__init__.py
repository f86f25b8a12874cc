"""From tables of images to batches on a device, out of files, a cache, memory or a stream."""
