"""Reports about finished and unfinished runs.

summary         result.json, report.txt and the figures of a run      text       the report as text
page            report.html, from templates/                          figures    all figures, and their style
agreement       results by agreement of the annotators (table 6)      misclassified   the most confident errors
comparison      several runs side by side: python -m scratchser.report
"""
