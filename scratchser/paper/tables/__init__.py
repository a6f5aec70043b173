"""The tables of the paper, one file each, and three more comparisons that its text makes."""
