"""From numbers to text: the terminal, Markdown, CSV and LaTeX. Rounds for people."""
