from hypothesis import settings

# The first call of some examples imports a library: time says nothing about the code.
settings.register_profile("monitoring", deadline=None, max_examples=50)
settings.load_profile("monitoring")
