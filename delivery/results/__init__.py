"""What a run or campaign did: counted per arm, compared with intervals, shown as page, picture and file."""
