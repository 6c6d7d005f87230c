"""The codes of problems in `ha status`, as `sidecar.core.show.problems` has them."""

from typing import Final

CHECK_FAILED: Final = "check-failed"
DRAINING: Final = "draining"
NGINX_CONFIG: Final = "nginx-config"
PART_FAILED: Final = "part-failed"
PEER_UNLINKED: Final = "peer-unlinked"
PROCESS_DOWN: Final = "process-down"
SPLIT_BRAIN: Final = "split-brain"
VIP_MISSING: Final = "vip-missing"
VIP_NOT_LEASED: Final = "vip-not-leased"
WRONG_SECRET: Final = "wrong-secret"
