"""Reports of crtcore: figures and one self-contained page for a run or a sweep."""
