"""How far people agree who answer about the same items: coefficients, intervals, and what lies behind them."""
