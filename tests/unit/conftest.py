"""How long an example takes is the machine's business: no test fails because others use it too.

`make test` tries the same examples each time, so that it finds what a change broke.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "any machine", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
