"""stub"""
def page(result): return "x"
