"""Files on disk, each under the hash of its bytes; used by prints."""
