"""Reports as people take them away: tables and charts of what the API answers. Pure."""
