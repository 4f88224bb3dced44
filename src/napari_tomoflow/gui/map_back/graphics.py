"""Who draws: a graphics card, or the processor in its place."""

from functools import cache

_BY_PROCESSOR = ("llvmpipe", "softpipe", "swrast", "software", "basic render")


@cache
def is_drawn_by_processor() -> bool:
    """Tell whether there is no graphics card: 3-D is then a hundred times slower."""
    name = renderer().lower()
    return not name or any(word in name for word in _BY_PROCESSOR)


def renderer() -> str:
    """Return what OpenGL calls what draws; empty where there is no OpenGL."""
    from qtpy.QtGui import QOffscreenSurface, QOpenGLContext
    from vispy.gloo import gl

    surface, context = QOffscreenSurface(), QOpenGLContext()
    surface.create()
    before = QOpenGLContext.currentContext()
    if not context.create() or not context.makeCurrent(surface):
        return ""
    try:
        return str(gl.glGetParameter(gl.GL_RENDERER))
    finally:
        context.doneCurrent()
        if before is not None:
            before.makeCurrent(before.surface())
