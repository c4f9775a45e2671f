"""The modules beside the tests are imported by name; pytest's importlib mode puts no folder on the path."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
