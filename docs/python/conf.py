"""Sphinx reads this; scripts/docs runs it on the package in the build tree."""

import mailsbuddy

project = "mailsbuddy"
version = release = mailsbuddy.__version__
html_title = f"mailsbuddy {release} for Python"
extensions = ["sphinx.ext.autodoc"]
html_theme = "alabaster"
html_theme_options = {"description": "A mail send engine as a library", "page_width": "1200px", "body_max_width": "none",
                      "code_font_size": "0.8em"}
html_show_copyright = False
html_show_sourcelink = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": True}
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
toc_object_entries = False
suppress_warnings = ["ref.python"]  # "Engine" in a signature: that of mailsbuddy and that of mailsbuddy.aio.
