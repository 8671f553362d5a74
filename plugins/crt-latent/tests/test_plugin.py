import subprocess
import sys


def test_describing_the_components_imports_no_torch() -> None:
    code = "import sys; from crt_latent import plugin; plugin.crt_components(); sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
