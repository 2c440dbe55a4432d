"""Applying an outcome as most good teams would write it: FastAPI and SQLAlchemy's asyncio ORM. See README.md."""
