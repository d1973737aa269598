"""`python -m services.renderer`: one worker."""

from services.renderer.worker import main

main()
