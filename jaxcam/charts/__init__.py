"""Figures of results: distributions, curves, boxes against masks, correlations.

Needs matplotlib, the extra `viz`; keeps no state. Colours are told apart by people who
do not see all of them: lines take those of Okabe and Ito, matrices a map that is even
in lightness. Users find the figures in `jaxcam.plot`.
"""
