"""From figures to text: the terminal, Markdown, CSV and LaTeX. Rounds for people."""
