from cli.reaching import Reach


async def follow_all(reach: Reach) -> None:
    raise NotImplementedError
