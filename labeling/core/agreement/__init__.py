"""How far people agree who answer about the same items: coefficients, intervals, and what lies behind them.

`answers` counts, `scales` says how near two answers are, `coefficients` holds the formulas, `intervals` what is known
about a coefficient, `report` and `people` what an owner asks. Start with `Panel.of(Answers(...))`. Nothing is imported
here: from one part to the next they need more of the numeric libraries, which are for workers.
"""
