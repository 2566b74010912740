"""Tasks that read along while another one still streams, and those who follow from outside."""
