"""The tests of gobelieve; and one profile of hypothesis for all of them.

Each test process imports this module before any other of the package, so no test escapes the
profile.
"""

from hypothesis import HealthCheck, settings

PROFILE = "gobelieve"

settings.register_profile(
    PROFILE,
    # Each of these limits measures the machine as much as the test. A machine that runs other tests
    # too, or writes to a slow disk, may exceed them although nothing is wrong.
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        # Some tests draw whole histories of a directory. Large inputs are their purpose.
        HealthCheck.data_too_large,
    ],
)
settings.load_profile(PROFILE)
